"""Sorted lists of lines in blocks that are compressed one by one: what `src/listing.rs` reads."""
import zstandard

BLOCK = 32 << 10  # bytes of text


def blocks(lines):
    """The lines in lists of about BLOCK bytes."""
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line.encode()) + 1
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def pack(heading, lists):
    """A file: heading lines, then `(name, lines)` lists, each sorted by the bytes of what stands before the first tab."""
    heading, packed = list(heading), b""
    compressor = zstandard.ZstdCompressor(level=19)
    for name, lines in lists:
        parts = list(blocks(lines))
        heading.append(f"{name} {len(lines)} {len(parts)}")
        for part in parts:
            text = "".join(line + "\n" for line in part).encode()
            key = part[0].split("\t")[0]
            heading.append(f"{key}\t{len(part)}\t{len(text)}")
            packed += compressor.compress(text)
    return compressor.compress("".join(line + "\n" for line in heading).encode()) + packed


def unpack(data, names):
    """The lists of these names; lines of the heading that belong to none are left out."""
    lines = iter(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read().decode().split("\n"))
    counts = []
    for name in names:
        _, count, parts = next(line for line in lines if line.startswith(name + " ")).split(" ")
        counts.append(int(count))
        for _ in range(int(parts)):
            next(lines)
    return [[next(lines) for _ in range(count)] for count in counts]
