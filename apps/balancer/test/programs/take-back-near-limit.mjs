// A balancer's data path that is at its limit of descriptors (`ulimit -n`), beside a dead shard with connections in its socket. Prints what
// became of those.
import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeDescriptor, DescriptorChannel, duplicate } from "@shardcast/native";
import { openFiles } from "@shardcast/process";
import { ShardState } from "@shardcast/scoreboard";
import { Handoff } from "../../dist/handoff.js";
import { HandoffPath } from "../../dist/handoff-path.js";

const descriptorsMax = Number(process.argv[2]);
const perMessage = DescriptorChannel.descriptorsMax;
const folder = mkdtempSync(join(tmpdir(), "take-back-"));
const path = join(folder, "handoff.sock");
const inbox = DescriptorChannel.bind(path);
const outbox = DescriptorChannel.connect(path);

const messages = 4;
for (let message = 0; message < messages; message++) {
	const fds = Array.from({ length: perMessage }, () => openSync("/dev/null"));
	if (!outbox.send(fds)) throw new Error("the socket is full");
	for (const fd of fds) closeDescriptor(fd);
}
const waiting = [];
while (openFiles() < descriptorsMax - 10) waiting.push(duplicate(1));

const counts = { takenBack: 0, sendErrors: 0 };
const count = (name, amount) => {
	counts[name] = (counts[name] ?? 0) + amount;
};
let dataPath;
const handoff = new Handoff({
	openChannel: () => outbox,
	returns: [inbox],
	mayTakeBack: () => true,
	hasRoom: () => dataPath.hasRoom,
	announce() {},
	closeDescriptor,
	count,
	handoffMs: { observe() {} },
	onReturn: (fd, sinceMs) => dataPath.takeBack(fd, sinceMs),
	onGone() {},
});
dataPath = new HandoffPath({
	responder: { count, leaving: 0, refuse() {}, close: () => 0 },
	picker: { allSilent: false, candidates: [], look() {}, pick: () => null },
	handoff,
	headBytesMax: 8192,
	headTimeoutMs: 1000,
	descriptorsMax,
	successor: null,
	keys: { ofUnreadable: () => null },
});
const row = { slot: 0, state: ShardState.dead, handoffsSent: messages * perMessage, handoffsReceived: 0, handoffsUndone: 0 };
const take = () => handoff.takeBack([{ row, silent: true, serving: false }]);
take();
const atLimit = { ...counts };
for (const fd of waiting) closeDescriptor(fd);
take();
rmSync(folder, { recursive: true });
writeSync(1, JSON.stringify({ atLimit, later: counts }));
process.exit(0);
