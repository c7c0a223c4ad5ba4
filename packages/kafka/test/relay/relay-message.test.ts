import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readRelayMessage, writeRelayMessage } from "../../src/relay/relay-message.ts";
import { batchOf } from "../support/record-batches.ts";

const part = (records: Buffer, aborted: { producerId: bigint; firstOffset: number }[] = []) => ({
	...{ topic: "t", topicId: "i", partition: 0, errorCode: 0, logEnd: 50, logStart: 0, divergence: null },
	aborted,
	records,
});

describe("a message between nodes", () => {
	it("carries the complete batches of an answer, and says up to where they are all that there is", () => {
		const whole = Buffer.concat([batchOf(7, ["a", "b"], { epoch: 3 }), batchOf(12, ["c"], { epoch: 3 })]);
		const cut = Buffer.concat([whole, batchOf(13, ["d"], { epoch: 3 }).subarray(0, 65)]);
		const aborted = [{ producerId: 9n, firstOffset: 8 }];
		const read = readRelayMessage(writeRelayMessage(3, 6, part(cut, aborted))!);
		expect(read).toEqual({ leaderEpoch: 3, from: 6, next: 13, logEnd: 50, aborted, records: whole });
	});

	it("may carry nothing but the position; an answer without a complete batch says nothing", () => {
		expect(readRelayMessage(writeRelayMessage(3, 6, part(Buffer.alloc(0)))!)).toMatchObject({ from: 6, next: 6 });
		expect(writeRelayMessage(3, 6, part(batchOf(6, ["a"], { epoch: 3 }).subarray(0, 65)))).toBeNull();
	});

	it("with any bytes, or any change of bytes, is read or refused, and never moves the position beyond its batches", {
		tags: ["long"],
	}, () => {
		const good = writeRelayMessage(3, 6, part(batchOf(6, ["a", "b"], { epoch: 3 }), [{ producerId: 1n, firstOffset: 6 }]))!;
		const changed = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => {
			const bytes = Buffer.from(good);
			bytes[at] = byte;
			return bytes;
		});
		const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from([1, ...bytes]));
		fc.assert(
			fc.property(fc.oneof(changed, any), (bytes) => {
				const read = readRelayMessage(bytes);
				if (read !== null) expect(read.next).toBeGreaterThanOrEqual(read.from);
			}),
			{ numRuns: 2000 },
		);
	});
});
