import fc from "fast-check";

/** Frames with bytes changed, cut out, doubled or put in, and plain noise. */
export function damage(frames: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
	const change = fc.tuple(fc.constantFrom("set", "cut", "insert", "double", "swap"), fc.nat(400), fc.nat(255), fc.nat(40));
	const changed = fc.tuple(fc.constantFrom(...frames), fc.array(change, { minLength: 1, maxLength: 4 })).map(([frame, changes]) => {
		let bytes = Buffer.from(frame);
		for (const [kind, place, byte, length] of changes) {
			const at = bytes.length === 0 ? 0 : place % bytes.length;
			const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
			if (kind === "set") bytes[at] = byte;
			else if (kind === "cut") bytes = Buffer.concat([before, after]);
			else if (kind === "insert") bytes = Buffer.concat([before, Buffer.from([byte]), part, after]);
			else if (kind === "double") bytes = Buffer.concat([before, part, part, after]);
			else bytes = Buffer.concat([part, before, after]);
		}
		return new Uint8Array(bytes);
	});
	return fc.oneof({ arbitrary: changed, weight: 9 }, { arbitrary: fc.uint8Array({ maxLength: 200 }), weight: 1 });
}

/** The fastest of three, so that a busy machine does not make it slow. */
export function seconds(work: () => void): number {
	let best = Number.POSITIVE_INFINITY;
	for (let run = 0; run < 3; run++) {
		const start = process.hrtime.bigint();
		work();
		best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9);
	}
	return best;
}
