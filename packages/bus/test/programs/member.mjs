// A member of the bus that publishes at full speed with pauses, and checks every byte of what all members publish.
//
// from the test: start, go, stop (publish no more), finish (read to the end, report, leave)
// to the test:   joined, stopped, report, failed

import { SharedMemoryBus } from "@shardcast/bus";
import { dieWithParent } from "@shardcast/native";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { checkRecord, next, recordBytes, writeRecord } from "./records.mjs";

const burstMax = 64;
const readMax = 256;

dieWithParent();
let link;
let row;
let config;
let random;
let sequence = 0;
let recordsRead = 0;
let wakes = 0;
let publishing = false;
let finishing = false;
let scheduled = false;
/** Per origin: incarnation → [first, last] sequence seen. */
const seen = new Map();

process.on("message", (message) => {
	if (message.type === "start") start(message);
	if (message.type === "go") publishing = config.publishes;
	if (message.type === "stop") {
		publishing = false;
		process.send({ type: "stopped", published: sequence });
	}
	if (message.type === "finish") finishing = true;
	schedule();
});
process.on("disconnect", () => process.exit(0));

function start(message) {
	config = message;
	random = (message.seed ^ Math.imul(message.slot + 64 * message.incarnation, 0x9e3779b1)) | 1;
	const directory = ClusterDirectory.open(message.directory);
	const board = Scoreboard.open(directory.boardPath);
	row = board.row(message.slot);
	link = SharedMemoryBus.join(directory, board, message.slot);
	link.onWake(() => {
		wakes++;
		schedule();
	});
	process.send({ type: "joined" });
}

function schedule() {
	if (scheduled) return;
	scheduled = true;
	setImmediate(turn);
}

function turn() {
	scheduled = false;
	const published = publishing ? publish() : 0;
	const count = link.read(readMax, visit);
	recordsRead += count;
	if (published + count > 0) return schedule();
	if (finishing) return finish();
	// Nothing to do, or the ring is full: sleep until somebody rings, or for a moment when there is more to publish.
	if (!link.sleep()) return schedule();
	if (publishing) setTimeout(schedule, 1);
}

/** A burst of random length; sometimes none, so that members fall asleep. */
function publish() {
	random = next(random);
	const burst = (random & 7) === 0 ? 0 : (random >>> 3) % burstMax;
	let published = 0;
	for (; published < burst; published++) {
		const bytes = recordBytes(config.seed, config.slot, config.incarnation, sequence + 1, link.recordBytesMax);
		const at = link.claim(bytes);
		if (at < 0) break;
		writeRecord(link.view, at, bytes, config.seed, config.slot, config.incarnation, sequence + 1);
		link.commit();
		// A kill may come between these two: what is in the ring is this or one more.
		row.set("messagesIn", ++sequence);
	}
	link.ringWaiters();
	return published;
}

function visit(origin, _u8, view, start, end) {
	const wrong = checkRecord(view, start, end, config.seed, origin, link.recordBytesMax);
	if (wrong !== null) fail(wrong);
	const incarnation = view.getUint32(start + 4, true);
	const number = view.getUint32(start + 8, true);
	const incarnations = seen.get(origin) ?? seen.set(origin, new Map()).get(origin);
	const range = incarnations.get(incarnation);
	if (range === undefined) {
		for (const older of incarnations.keys()) if (older > incarnation) fail(`${origin}: incarnation ${incarnation} after ${older}`);
		incarnations.set(incarnation, [number, number]);
	} else if (number === range[1] + 1) range[1] = number;
	else fail(`${origin}: record ${incarnation}.${number} after ${range[1]}`);
}

function fail(message) {
	process.send({ type: "failed", message: `member ${config.slot}.${config.incarnation}: ${message}` }, () => process.exit(1));
	throw new Error(message);
}

function finish() {
	link.close();
	const ranges = [...seen].map(([origin, incarnations]) => [origin, [...incarnations]]);
	process.send({ type: "report", published: sequence, recordsRead, wakes, seen: ranges }, () => process.exit(0));
}
