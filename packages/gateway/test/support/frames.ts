import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { Frame } from "../../src/buffers/frame.ts";
import { encodeFrameHeader } from "../../src/frames/frame-codec.ts";
import { FrameLayout } from "../../src/frames/frame-descriptor.ts";

/** From SHARDCAST_TEST_SEED, else random. It stands in the test's name, so a failure tells how to repeat it. */
export const seed: number = Number(process.env.SHARDCAST_TEST_SEED ?? Math.floor(Math.random() * 0x7fffffff));

/** A frame as data. */
export interface FrameData {
	readonly frameClass: number;
	readonly client: number;
	readonly backend: number;
	/** Bytes of the payload; at least five if `n` must be readable. */
	readonly bytes: number;
	/** Tells frames apart. */
	readonly n: number;
}

export function payloadOf({ frameClass, n, bytes }: Omit<FrameData, "client" | "backend">): Buffer {
	const payload = Buffer.alloc(bytes);
	for (let at = 0; at < bytes; at++) payload[at] = n * 13 + at * 7 + 1;
	payload[0] = frameClass;
	if (bytes >= 5) payload.writeUInt32BE(n, 1);
	return payload;
}

export function wireOf(data: FrameData): Buffer {
	const bytes = Buffer.alloc(FrameLayout.headerBytes + data.bytes);
	encodeFrameHeader(bytes, 0, data.bytes, data.client, data.backend);
	payloadOf(data).copy(bytes, FrameLayout.headerBytes);
	return bytes;
}

/** A frame with one reference, or a thrown error. */
export function frameOf(pool: BufferPool, data: FrameData): Frame {
	const frame = pool.take(data.bytes);
	if (frame === null) throw new Error("the pool has no buffer");
	frame.fill(payloadOf(data));
	frame.seal(data.client, data.backend);
	return frame;
}

/** The `n` of a frame. */
export function numberOf(frame: Frame): number {
	return Buffer.from(frame.message()).readUInt32BE(FrameLayout.messageHeaderBytes + 1);
}

export function smallPool(memoryBytesMax?: number): BufferPool {
	return new BufferPool({
		tiers: [
			{ bytes: 16, buffersMax: 1024 },
			{ bytes: 64, buffersMax: 1024 },
			{ bytes: 512, buffersMax: 1024 },
		],
		...(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
	});
}
