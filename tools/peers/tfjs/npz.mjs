// A reader and a writer of NPZ files, which are zips of NPY files: what golden vectors need in JavaScript (vectors/README.md).

import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const KINDS = {"<f4": Float32Array, "<f8": Float64Array, "<i8": BigInt64Array, "<i4": Int32Array, "<f2": Uint16Array, "|u1": Uint8Array};

/** The arrays of an NPZ by member name, as typed arrays. */
export function readNpz(file) {
  const zip = fs.readFileSync(file), arrays = new Map();
  let at = zip.readUInt32LE(zip.length - 22 + 16); // the directory, which the last 22 bytes point to
  while (zip.readUInt32LE(at) === 0x02014b50) {
    const [length, extra, comment] = [28, 30, 32].map((place) => zip.readUInt16LE(at + place));
    const name = zip.toString("utf8", at + 46, at + 46 + length), local = zip.readUInt32LE(at + 42);
    const begin = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const packed = zip.subarray(begin, begin + zip.readUInt32LE(at + 20));
    const plain = zip.readUInt16LE(at + 10) === 8 ? zlib.inflateRawSync(packed) : packed;
    const body = 10 + plain.readUInt16LE(8), header = plain.toString("latin1", 10, body);
    const descr = /'descr': '([^']+)'/.exec(header)[1], Kind = KINDS[descr];
    at += 46 + length + extra + comment;
    if (Kind) arrays.set(name.slice(0, -4), {descr, values: new Kind(Uint8Array.from(plain.subarray(body)).buffer)});
  }
  return arrays;
}

/** An array as an NPY file. */
export function npy(descr, shape, bytes) {
  const fields = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = fields.padEnd(Math.ceil((fields.length + 11) / 64) * 64 - 11) + "\n"; // the whole is a multiple of 64 bytes
  const start = Buffer.from("\x93NUMPY\x01\x00\0\0", "latin1");
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header, "latin1"), bytes]);
}

/** Write NPY files as the members of an NPZ, uncompressed. */
export function writeNpz(file, members) {
  const parts = [], directory = [];
  let at = 0;
  for (const [name, bytes] of members) {
    const entry = Buffer.from(name + ".npy"), fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(zlib.crc32(bytes), 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(entry.length, 22);
    parts.push(Buffer.from("PK\x03\x04"), fields, entry, bytes);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), fields, place, entry);
    at += 30 + entry.length + bytes.length;
  }
  const listed = Buffer.concat(directory), end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  [members.size, members.size].forEach((count, k) => end.writeUInt16LE(count, 8 + 2 * k));
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  fs.mkdirSync(path.dirname(file), {recursive: true});
  fs.writeFileSync(file, Buffer.concat([...parts, listed, end]));
}
