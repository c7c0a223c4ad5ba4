import { everybody, RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { type HeldFrame, HeldFrames } from "../../src/delivery/incoming/held-frames.ts";

const frame = (sender: number, text: string): HeldFrame => ({
	kind: RecordKind.text,
	sender,
	channels: everybody,
	payload: Buffer.from(text),
});
const text = ({ payload }: HeldFrame) => Buffer.from(payload).toString();

describe("held frames", () => {
	it("are published in the order in which they arrived, as far as there is space", () => {
		const held = new HeldFrames({ bytesMax: 1e6, clientBytesMax: 1e6 });
		for (const name of ["a", "b", "c", "d"]) held.hold(frame(1, name));
		const gone: string[] = [];
		expect(held.release((next) => gone.length < 2 && gone.push(text(next)) > 0)).toBe(2);
		expect(held.count).toBe(2);
		held.hold(frame(2, "e"));
		held.release((next) => gone.push(text(next)) > 0);
		expect(gone).toEqual(["a", "b", "c", "d", "e"]);
		expect({ count: held.count, bytes: held.bytes }).toEqual({ count: 0, bytes: 0 });
	});

	it("are limited for one client before they are for all, so a flood does not take the others' share", () => {
		const held = new HeldFrames({ bytesMax: 4000, clientBytesMax: 1000 });
		let ofFlood = 0;
		while (held.hold(frame(1, "x".repeat(100)))) ofFlood++;
		expect(ofFlood).toBeGreaterThan(0);
		expect(held.bytes).toBeLessThanOrEqual(1000);
		expect(held.hold(frame(2, "mine"))).toBe(true);
		for (let sender = 3; held.bytes + 300 < 4000; sender++) held.hold(frame(sender, "y".repeat(100)));
		expect(held.hold(frame(99, "z".repeat(400)))).toBe(false);
	});

	it("are limited in number as well: empty frames cost memory", () => {
		const held = new HeldFrames({ bytesMax: 100_000, clientBytesMax: 100_000 });
		let count = 0;
		while (count < 10_000 && held.hold(frame(1, ""))) count++;
		expect(count).toBeLessThan(1000);
	});

	it("release a client's share with its frames", () => {
		const held = new HeldFrames({ bytesMax: 10_000, clientBytesMax: 300 });
		for (let round = 0; round < 5000; round++) {
			if (!held.hold(frame(7, "abc"))) expect.fail(`round ${round}: not held`);
			if (held.release(() => true) !== 1) expect.fail(`round ${round}: not released`);
		}
		expect(held.bytes).toBe(0);
	});
});
