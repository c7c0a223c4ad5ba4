import { createRequire } from "node:module";
import type * as Wire from "@bufbuild/protobuf/wire";

/**
 * The library's part that reads and writes bytes. By `require`, since its 19 files take longer to load as modules of JavaScript: some 10 ms of CPU for
 * each shard.
 */
export const { BinaryReader, BinaryWriter, WireType } = createRequire(import.meta.url)("@bufbuild/protobuf/wire") as typeof Wire;
export type BinaryReader = Wire.BinaryReader;
export type BinaryWriter = Wire.BinaryWriter;
export type WireType = Wire.WireType;
