import { describe, expect, it } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { BufferShare } from "../../src/buffers/buffer-share.ts";
import type { Frame } from "../../src/buffers/frame.ts";

const poolOf = (buffersMax: number) => new BufferPool({ tiers: [{ bytes: 64, buffersMax }] });

/** Takes a buffer for each holder in turn, until there is none for any. */
function takeAll(pool: BufferPool, takes: readonly (() => Frame | null)[]): Frame[][] {
	const taken: Frame[][] = takes.map(() => []);
	for (let count = -1; count !== pool.inUse; ) {
		count = pool.inUse;
		for (const [index, take] of takes.entries()) {
			const frame = take();
			if (frame !== null) taken[index]!.push(frame);
		}
	}
	return taken;
}

describe("shares of a pool", () => {
	it.each([1, 2, 3, 5, 29])("%i connections that take all they can have as much each as is left free", (count) => {
		const pool = poolOf(300);
		const shares = Array.from({ length: count }, () => pool.connectionShare());
		const taken = takeAll(
			pool,
			shares.map((share) => () => pool.take(10, share)),
		);
		const free = 300 - pool.inUse;
		expect(new Set(taken.map(({ length }) => length)).size).toBe(1);
		expect(free).toBeGreaterThanOrEqual(Math.floor(300 / (count + 1)));
		expect(pool.overShare).toBe(pool.refused);
		expect(pool.tiers[0]!.exhausted).toBe(0);
		// One that has nothing has room.
		expect(pool.take(10, pool.connectionShare())).not.toBeNull();
	});

	it("a client leaves room for other clients of the same connection", () => {
		const pool = poolOf(300);
		const connection = pool.connectionShare();
		const [greedy, other] = [pool.clientShare(), pool.clientShare()];
		expect(takeAll(pool, [() => pool.take(10, connection, greedy)])[0]).toHaveLength(100);
		expect(pool.take(10, connection, other)).not.toBeNull();
		expect([connection.inUse, greedy.inUse, other.inUse]).toEqual([101, 100, 1]);
	});

	it("VIDEO leaves room for what may not be dropped", () => {
		const pool = poolOf(300);
		const connection = pool.connectionShare();
		expect(takeAll(pool, [() => pool.take(10, connection, null, true)])[0]).toHaveLength(100);
		expect(pool.take(10, connection, null, true)).toBeNull();
		expect(pool.take(10, connection)).not.toBeNull();
	});

	it.each([
		[1, 250, 40_000],
		[1, 1000, 40_000],
		[1, 600, 70_000],
		[16, 1000, 300],
		[16, 1000, 5000],
		[1, 5000, 5000],
	])(
		"VIDEO of %i backends that waits for each of %i clients, in frames of %i bytes, leaves room for one more client",
		(backends, clients, bytes) => {
			const pool = new BufferPool();
			const shares = Array.from({ length: backends }, () => pool.connectionShare());
			for (let client = 0; client <= clients; client++)
				for (const share of shares) if (pool.take(bytes, share, null, true) === null) expect.fail(`no buffer for client ${client}`);
			expect(pool.reservedBytes).toBeLessThanOrEqual(pool.memoryBytesMax);
		},
	);

	it("counts memory, too, in whole buffers, and gives back with the last reference", () => {
		const mebibyte = 2 ** 20;
		const pool = new BufferPool({ memoryBytesMax: 40 * mebibyte });
		const [connection, other] = [pool.connectionShare(), pool.connectionShare()];
		const take = (share: BufferShare, bytes: number) => pool.take(bytes, share);
		// Each has a buffer of 8 MiB.
		const frames = [take(connection, 1.5 * mebibyte)!, take(connection, 1.5 * mebibyte)!];
		expect(take(connection, 1.5 * mebibyte)).toBeNull();
		expect(connection.bytes).toBeGreaterThan(16 * mebibyte);
		expect(take(connection, 100_000)).not.toBeNull();
		expect(take(other, 8 * mebibyte)).not.toBeNull();
		frames[0]!.retain();
		for (const frame of frames) frame.release();
		expect(connection.inUse).toBe(2);
		expect(take(connection, 8 * mebibyte)).toBeNull();
		frames[0]!.release();
		expect(take(connection, 8 * mebibyte)).not.toBeNull();
	});

	it("tells when a buffer has come back after a share was used up", () => {
		const pool = poolOf(10);
		const share = pool.connectionShare();
		let freed = 0;
		pool.onFreed = () => freed++;
		const [frames] = takeAll(pool, [() => pool.take(10, share)]);
		expect([frames!.length, pool.isShort]).toEqual([5, true]);
		frames![0]!.release();
		expect([freed, pool.isShort, share.inUse]).toEqual([1, false, 4]);
	});
});
