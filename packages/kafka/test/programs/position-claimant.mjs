// A shard's process that is stopped (SIGSTOP) in the middle of writing a row, and says what became of it once it goes on.
import { SharedFile } from "@shardcast/native";
import { useChannelHashKey } from "@shardcast/wire";
import { PositionTable } from "../../dist/position-table.js";

const [path, self, topic, hashKey] = process.argv.slice(2);
useChannelHashKey(JSON.parse(hashKey));
const table = new PositionTable(SharedFile.open(path).buffer);
process.once("message", () => {
	const store = Atomics.store;
	Atomics.store = (words, at, value) => {
		Atomics.store = store;
		const stored = store(words, at, value);
		process.kill(process.pid, "SIGSTOP");
		return stored;
	};
	// The first store is that of the row's state "writing".
	const claimant = { self: Number(self), isGone: () => false };
	const row = table.claimed(claimant, (rows) => rows.rowOf({ topic, topicId: null, partition: 0 }, 1, 0));
	process.send({ row, topic: table.topic(row) });
});
process.send("ready");
