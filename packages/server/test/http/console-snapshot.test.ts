import { answerCluster, consoleQuestion, Questions, RevocationStore } from "@shardcast/control";
import { readBoard, Scoreboard } from "@shardcast/scoreboard";
import { createLog, ProcessMetrics } from "@shardcast/telemetry";
import { expect, it } from "vitest";
import { consoleSnapshot } from "../../src/console/console-snapshot.ts";

it("the console gets the number of shards that is wanted from the supervisor, beside the one that there is", async () => {
	const scaling = { wanted: 4, present: 2, followsCpus: true };
	const board = Scoreboard.inMemory(2);
	const questions = new Questions({ processes: () => [] });
	const revocations = new RevocationStore({ folder: "", log: createLog({ name: "test", level: "silent", format: "json" }) });
	answerCluster({
		...{ questions, board: () => readBoard(board), own: new ProcessMetrics("supervisor"), events: { events: [] } },
		...{ revocations: () => revocations, nodes: () => null, nodesNow: async () => null, orders: () => null, sessions: async () => [] },
		scaling: () => scaling,
	});
	const answer = await questions.ask(consoleQuestion, { channels: [] });
	const snapshot = consoleSnapshot(board, {
		...{ version: "1", auth: "open", mayPublish: { http: "key", webSocket: "nobody" }, atMs: 0, monotonicMs: 0 },
		...{ channels: [], kafkaMode: "shared", ...answer },
	});
	expect(snapshot.scaling).toEqual(scaling);
});
