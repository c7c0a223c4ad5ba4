// A process, or a thread, that uses the logs: it does what it is told, call by call, or publishes and reads at full speed until it is killed.
//
// to it:   { id, method, args }, or { type: "run", channels, most }, or { type: "stop" }
// from it: { type: "up" }, { type: "running" }, { id, result } or { id, error }, { type: "read", channels } after a stop

import { parentPort, workerData } from "node:worker_threads";
import { ChannelLog, openLogBuffers } from "@shardcast/channel-log";
import { dieWithParent, SharedFile } from "@shardcast/native";
import { Lives } from "./lives.mjs";

const isThread = parentPort !== null;
const config = isThread ? workerData : JSON.parse(process.argv[2]);
const { slot, incarnation } = config;
const say = isThread ? (message) => parentPort.postMessage(message) : (message) => process.send(message);

if (!isThread) dieWithParent();
const clock = isThread ? config.clock : SharedFile.open(config.clockPath).buffer;
const clockMs = new Float64Array(clock, 0, 1);
const options = { nowMs: () => clockMs[0] };
const log = isThread
	? new ChannelLog(openLogBuffers(config.buffers), { slot, incarnation }, options)
	: ChannelLog.open(config.directory, { slot, incarnation }, options);
const lives = new Lives(clock);
let running = false;

function handle(message) {
	if (message.type === "run") return void run(message);
	if (message.type === "stop") {
		running = false;
		return;
	}
	try {
		say({ id: message.id, result: log[message.method](...message.args) });
	} catch (error) {
		say({ id: message.id, error: error.message });
	}
}

/** Publishes `slot.incarnation.n` into one channel after the other, `most` at most, some of them with an idempotency key, and reads everything that anybody publishes. */
function run({ channels, most }) {
	const kept = { history: { size: 100_000, ttlMs: 3_600_000, metaTtlMs: 3_600_000 } };
	const reader = log.reader(slot);
	say({ type: "running" });
	const seen = {};
	const visit = (_origin, u8, _view, start, end) => {
		// The name is in the only channel entry, the message at the end.
		const nameBytes = u8[start + 28];
		const channel = Buffer.from(u8.subarray(start + 29, start + 29 + nameBytes)).toString();
		const message = Buffer.from(u8.subarray(start + 29 + nameBytes, end)).toString();
		seen[channel] ??= [];
		seen[channel].push(message);
	};
	let sent = 0;
	running = true;
	const turn = () => {
		for (let n = 0; running && n < 50 && sent < most; n++) {
			const channel = channels[sent % channels.length];
			// A text of changing length, so that records end at all places.
			const message = `${slot}.${incarnation}.${sent} ${"x".repeat(sent % 97)}`;
			const once = sent % 50 === 0 && sent < 5000 ? { idempotency: { key: message, ttlMs: 50 } } : {};
			const { outcome } = log.publish(channel, Buffer.from(message), { ...kept, ...once });
			if (outcome === "full") break;
			lives.acknowledged(slot, ++sent);
		}
		const count = reader.read(1000, visit);
		if (running || count > 0 || reader.hasRecords()) return void setImmediate(turn);
		reader.leave();
		say({ type: "read", seen });
	};
	turn();
}

if (isThread) parentPort.on("message", handle);
else process.on("message", handle);
say({ type: "up" });
