import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SharedFile } from "@shardcast/native";
import { waitFor } from "@shardcast/testkit";
import { channelHashKey } from "@shardcast/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import { ownerOf, PositionTable } from "../../src/positions/position-table.ts";

const program = fileURLToPath(new URL("../programs/position-claimant.mjs", import.meta.url));
const victim = ownerOf(1, 1);
const key = (topic: string) => ({ topic, topicId: null, partition: 0 });

/** Another process, stopped in the middle of writing the row of topic "victim", in a table of so many rows. */
async function stoppedWriter(rowsMax: number): Promise<{ table: PositionTable; child: ChildProcess }> {
	const scratch = mkdtempSync("/dev/shm/positions-test-");
	const file = SharedFile.create(join(scratch, "table"), PositionTable.bytes(rowsMax), (buffer) => PositionTable.format(buffer, rowsMax));
	const child = fork(program, [file.path, String(victim), "victim", JSON.stringify(channelHashKey())], { execArgv: [] });
	onTestFinished(() => {
		child.kill("SIGKILL");
		file.close();
		rmSync(scratch, { recursive: true, force: true });
	});
	await once(child, "message");
	child.send("go");
	const state = () => /\) (\S)/.exec(readFileSync(`/proc/${child.pid}/stat`, "utf8"))?.[1];
	await waitFor(() => state() === "T", { deadlineMs: 10_000, what: "the other process to be stopped" });
	return { table: new PositionTable(file.buffer), child };
}

describe("the position table and a process that is paused while it writes a row", () => {
	it("keeps the row for it, lets nobody wait, and has both rows right once it goes on", async () => {
		const { table, child } = await stoppedWriter(4);
		const us = { self: ownerOf(0, 1), isGone: () => false };
		const began = performance.now();
		// Far longer than any claim takes: a thief that went by the time would have the row by now.
		while (performance.now() - began < 400) {
			const before = performance.now();
			expect(table.claimed(us, () => expect.unreachable())).toBeNull();
			expect(performance.now() - before).toBeLessThan(100);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		child.kill("SIGCONT");
		const [{ row, topic }] = (await once(child, "message")) as [{ row: number; topic: string }];
		expect(topic).toBe("victim");
		const ours = table.claimed(us, (rows) => rows.rowOf(key("ours"), 0, 0))!;
		expect(ours).not.toBe(row);
		expect([table.topic(row), table.topic(ours)]).toEqual(["victim", "ours"]);
		expect(table.claimed(us, (rows) => rows.rowOf(key("victim"), 0, 0))).toBe(row);
	});

	it("takes the row over once it is reaped, and not before", async () => {
		const { table, child } = await stoppedWriter(1);
		let reaped = false;
		const us = { self: ownerOf(0, 1), isGone: (owner: number) => reaped && owner === victim };
		expect(table.claimed(us, () => expect.unreachable())).toBeNull();
		const exit = once(child, "exit");
		child.kill("SIGKILL");
		await exit;
		reaped = true;
		// The only row there is.
		expect(table.claimed(us, (rows) => rows.rowOf(key("ours"), 0, 0))).toBe(0);
		expect(table.topic(0)).toBe("ours");
	});
});
