import { offloadQuestion, PartAnswers } from "@shardcast/control";
import { ShardState } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { afterEach, expect, it, vi } from "vitest";
import { startShards, type TestShards } from "../harness.ts";

let shards: TestShards;
afterEach(() => shards.stop());

it("a drained shard tells nobody to reconnect while no other one takes clients", async () => {
	const parts = new PartAnswers();
	shards = await startShards(1, { members: 2, parts: { parts } });
	const { board } = shards;
	const [own, other] = [board.row(0), board.row(1)];
	own.isDrained = true;
	const client = await shards.client();
	await parts.answer(offloadQuestion.name, { on: true, rate: null });
	const looks = vi.spyOn(board, "rows");
	const looksTwice = async () => {
		looks.mockClear();
		await waitFor(() => looks.mock.calls.length >= 2, { what: "the shard looks for others twice", deadlineMs: 5000 });
	};
	await looksTwice();
	expect(own.get("toldToLeave"), "alone").toBe(0);
	Object.assign(other, { role: own.role, state: ShardState.serving, isDrained: true });
	const beats = setInterval(() => other.set("heartbeatMs", own.get("heartbeatMs")), 20);
	try {
		await looksTwice();
		expect(own.get("toldToLeave"), "the other is drained").toBe(0);
		other.isDrained = false;
		await waitFor(() => own.get("toldToLeave") === 1, { what: "the client is told", deadlineMs: 5000 });
		expect((await client.closed).code).toBe(1001);
	} finally {
		clearInterval(beats);
	}
});
