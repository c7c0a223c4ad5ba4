import { Role, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { placementRefusal } from "../src/placement.ts";
import { pickerOf } from "./support/picker.ts";

const nowMs = 10_000;

/** @param processes what the picker's messages call them; undefined = its default. */
function messageOf(
	processes: string | undefined,
	rows: readonly { readonly state: ShardState; readonly beatMs: number; readonly taken?: number }[],
	taken: number,
) {
	const board = Scoreboard.inMemory(rows.length);
	rows.forEach(({ state, beatMs, taken: its = taken }, slot) => {
		const row = board.row(slot);
		row.role = Role.shard;
		row.state = state;
		row.connectionsGiven = 5;
		row.connections = its;
		row.webSockets = row.connections;
		row.set("heartbeatMs", beatMs);
	});
	board.bumpMembership();
	const picker = pickerOf(board, { nowMs: () => nowMs, ...(processes === undefined ? {} : { processes }) });
	return placementRefusal(picker, picker.candidates, false).message;
}

describe("why no process takes a connection", () => {
	const serving = { state: ShardState.serving, beatMs: nowMs };
	const silent = { state: ShardState.serving, beatMs: 0 };
	const full = { state: ShardState.serving, beatMs: nowMs, taken: 5 } as const;
	const dead = { state: ShardState.dead, beatMs: nowMs };
	const gateway = "processes of the gateway";

	it.each([
		["none of 2 shards serves now", undefined, [dead, dead], 0],
		["none of 2 processes of the gateway serves now", gateway, [dead, dead], 0],
		["none of the 1 processes of the gateway that serve responds now", gateway, [silent, dead], 0],
		["the processes of the gateway do not keep up with new connections", gateway, [serving, dead], 0],
		["1 of 2 processes of the gateway serve, all full: 5/5 connections", gateway, [serving, dead], 5],
		["2 of 2 shards serve, all full: 10/10 connections", undefined, [serving, serving], 5],
		["2 of 3 shards respond, all full: 10/10 connections", undefined, [full, silent, full], 0],
	] as const)("%s", (message, processes, rows, taken) => {
		expect(messageOf(processes, rows, taken)).toBe(message);
	});
});
