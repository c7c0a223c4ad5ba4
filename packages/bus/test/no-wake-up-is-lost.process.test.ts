import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stressed } from "@shardcast/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeCluster } from "./cluster.ts";

const program = fileURLToPath(new URL("./programs/token.mjs", import.meta.url));
const passesTotal = stressed(50_000);
/** Nothing moves for so long: the token is lost. A busy machine may well take a second for a turn. */
const stuckMs = 4000;

describe("members that do nothing but sleep and wake each other", () => {
	for (const [what, members, way, tags] of [
		["two members, rings", 2, "ring", []],
		["three members, rings: two sleepers to wake, two wakers for each", 3, "ring", ["long"]],
		["two members, descriptors one way and a ring the other", 2, "handoff", ["long"]],
	] as const)
		it(`${what}: the token never stops`, { timeout: stressed(30_000), tags: [...tags] }, async () => {
			const cluster = makeCluster(members, 4096);
			const children: ChildProcess[] = [];
			onTestFinished(() => {
				for (const child of children) child.kill("SIGKILL");
				cluster.close();
			});
			for (let slot = 0; slot < members; slot++) {
				const child = fork(program, [cluster.directory.path, String(slot), String(members), way], { execArgv: [] });
				children.push(child);
				await once(child, "message");
			}
			for (const child of children.toReversed()) child.send("go");
			const rows = cluster.board.rows();
			const passes = () => rows.reduce((sum, row) => sum + row.get("recordsRead"), 0);
			let last = 0;
			for (let movedMs = performance.now(); last < passesTotal; await delay(50)) {
				const count = passes();
				if (count !== last) {
					last = count;
					movedMs = performance.now();
				}
				if (performance.now() - movedMs > stuckMs)
					throw new Error(`the token stopped after ${last} passes, sleeping: ${rows.map((row) => row.sleeping)}`);
			}
			const wakes = rows.reduce((sum, row) => sum + row.get("doorbells"), 0);
			expect(wakes).toBeGreaterThan(1000);
			console.log(`${last} passes, ${wakes} wake-ups`);
		});
});
