import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { FaultKind } from "../fault.ts";
import type { Rig } from "../rig.ts";
import { killShard } from "./kill.ts";

const piece = Buffer.alloc(1 << 20);

/** Takes all that is free, to the last page. */
function fill(path: string): void {
	const fd = openSync(path, "w");
	try {
		for (let bytes = piece.length; bytes >= 4096; )
			try {
				writeSync(fd, piece, 0, bytes);
			} catch (error) {
				if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
				bytes = bytes / 2;
			}
	} finally {
		closeSync(fd);
	}
}

const lacks = (rig: Rig): string | null =>
	rig.subject.memory === null ? "others use /dev/shm too, and a separate memory file system needs root" : null;

export const fullMemory: FaultKind = {
	name: "full-memory",
	help: "the file system of the cluster's shared memory has no room for 0.5 or 2 s; every other time a shard is killed meanwhile (needs root)",
	isShort: true,
	draw(random, isShort) {
		const target = random.below(4);
		return { target, forMs: isShort ? 500 : 2_000, seed: 0, story: target < 2 ? `shard ${target} killed meanwhile` : "" };
	},
	lacks,
	async inject(rig, draw) {
		const filler = join(rig.subject.memory!, "filler");
		try {
			fill(filler);
			if (draw.target < 2) await killShard.inject(rig, draw);
			await rig.wait(draw.forMs);
		} finally {
			rmSync(filler, { force: true });
		}
	},
};
