// One of several members that hand a token round and sleep in between: no timer, no other traffic, so a wake-up that is
// lost stops the token for good. Arguments: cluster directory, own slot, number of members, "ring" or "handoff".
//
// ring:    whoever sees a token that is his, publishes the next one
// handoff: slot 0 passes it to slot 1 as a descriptor in a handoff socket, and slot 1 publishes the answer
import { openSync } from "node:fs";
import { Doorbells, SharedMemoryBus } from "@shardcast/bus";
import { closeDescriptor, DescriptorChannel, dieWithParent } from "@shardcast/native";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { next } from "./records.mjs";

dieWithParent();
const [path, slotText, membersText, way] = process.argv.slice(2);
const [slot, members] = [Number(slotText), Number(membersText)];
const directory = ClusterDirectory.open(path);
const board = Scoreboard.open(directory.boardPath);
const row = board.row(slot);
const link = SharedMemoryBus.join(directory, board, slot);
const receiver = way === "handoff" && slot === 1 ? DescriptorChannel.bind(directory.handoffPath(1)) : null;
const sender = way === "handoff" && slot === 0 ? DescriptorChannel.connect(directory.handoffPath(1)) : null;
const doorbells = new Doorbells(directory, board);
const passedOn = openSync("/dev/null");
let random = (process.pid * 0x9e3779b1) | 1;

link.onWake(() => {
	row.add("doorbells", 1);
	turn();
});
process.on("message", () => {
	if (slot === 0) pass(0);
	turn();
});
process.on("disconnect", () => process.exit(0));
process.send("joined");

function turn() {
	let token = -1;
	for (;;) {
		link.read(16, (_origin, _u8, view, start) => {
			const number = view.getUint32(start, true);
			if (number % members === slot) token = number;
		});
		for (const fd of receiver?.receive() ?? []) {
			closeDescriptor(fd);
			token = row.get("recordsRead") * members + slot;
		}
		if (token >= 0) {
			row.add("recordsRead", 1);
			pass(token + 1);
			token = -1;
		}
		// A pause of random length puts the others' actions before, between and after the two steps of sleeping.
		random = next(random);
		for (let spin = (random >>> 4) & 2047; spin > 0; spin--) Math.imul(spin, spin);
		if (link.sleep()) return;
	}
}

function pass(token) {
	if (sender !== null) {
		while (!sender.send([passedOn]));
		doorbells.announceHandoff(1);
		return;
	}
	const at = link.claim(4);
	if (at < 0) throw new Error("the ring is full of tokens");
	link.view.setUint32(at, token, true);
	link.commit();
	link.ringWaiters();
}
