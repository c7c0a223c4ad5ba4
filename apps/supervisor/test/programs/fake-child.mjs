import { existsSync } from "node:fs";
import { connectToParent, metricsQuestion, offloadQuestion, PartAnswers } from "@shardcast/control";
import { dieWithParent } from "@shardcast/native";
import { StartupError } from "@shardcast/process";
import { ClusterDirectory, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";

/**
 * Speaks the children's protocol and does nothing else. FAKE_CHILD, a JSON object by name ("shard 0", "balancer"), says how it
 * misbehaves. What happens to it is told on stdout, one JSON object per line.
 */
dieWithParent();
const faults = JSON.parse(process.env.FAKE_CHILD ?? "{}");
let name = "?";
let fault = {};
let slotRow;
let offload;

const tell = (event, more = {}) => process.stdout.write(`${JSON.stringify({ name, event, pid: process.pid, ...more })}\n`);

/** Turns of the event loop that take so much CPU time each. Says how long each took. */
function takeTurns(cpuMs) {
	const startedMs = monotonicMs();
	const started = process.cpuUsage();
	for (let used = 0; used < cpuMs * 1000; ) {
		const { user, system } = process.cpuUsage(started);
		used = user + system;
	}
	tell("turn", { tookMs: monotonicMs() - startedMs });
	setTimeout(takeTurns, 25, cpuMs);
}

const parts = new PartAnswers();
parts.add(metricsQuestion, () =>
	fault.noMetrics
		? new Promise(() => {})
		: [{ name: "fake_total", help: "A fake.", type: "counter", values: [{ labels: { process: name }, value: 7 }] }],
);

/** Its clients leave one by one. */
parts.add(offloadQuestion, ({ on, rate }) => {
	tell(on ? "offload" : "onload", { rate });
	clearInterval(offload);
	slotRow.state = on ? ShardState.draining : ShardState.serving;
	if (on)
		offload = setInterval(() => {
			if (slotRow.webSockets === 0 || fault.keeps === slotRow.webSockets) return;
			// Told first: a test that sees one client fewer may kill this process at once.
			slotRow.add("toldToLeave", 1);
			slotRow.connections--;
			slotRow.webSockets--;
		}, 10);
	return slotRow.webSockets;
});

// A version that cannot be loaded.
if (faults.brokenFile !== undefined && existsSync(faults.brokenFile)) {
	process.stderr.write("SyntaxError: Unexpected token\n");
	process.exit(1);
}

const control = connectToParent({
	parts,
	async start({ role, slot, incarnation, core, cluster, mode, connectionsMax, shardsTotal, config }) {
		name = role === "shard" ? `shard ${slot}` : role;
		fault = faults[name] ?? {};
		process.title = `fake ${name}`;
		tell("started", { incarnation, core, mode, connectionsMax, shardsTotal, lbAddr: config.lbAddr });
		if (fault.fatalFile !== undefined && existsSync(fault.fatalFile)) throw new StartupError("the new version does not start");
		if (fault.fatal === true || fault.fatalFrom <= incarnation)
			throw new StartupError("port 1 is taken; choose another", { flag: "--base-port" });
		if (fault.neverReady) await new Promise(() => {});
		if (fault.dieBeforeReady) process.exit(3);
		const board = Scoreboard.open(ClusterDirectory.open(cluster).boardPath);
		const row = role === "shard" ? board.row(slot) : board.balancer;
		slotRow = row;
		row.state = row.isDrained ? ShardState.draining : ShardState.serving;
		if (role === "balancer") row.pid = process.pid;
		else {
			// The clients of its first life, and those that come to its next one.
			row.connections = (incarnation === 1 ? fault.connections : fault.laterConnections) ?? 0;
			row.webSockets = row.connections;
		}
		const beat = () => row.set("heartbeatMs", monotonicMs());
		if (!fault.mute) setInterval(beat, 20);
		if (fault.turnMs !== undefined) takeTurns(fault.turnMs);
		if (fault.asks) setInterval(() => control.ask(metricsQuestion, null).then((text) => tell("answer", { text })), 200);
		if (fault.dieAfterMs !== undefined) setTimeout(() => process.exit(4), fault.dieAfterMs);
		return role === "balancer" ? { port: 4711 } : {};
	},
	async drain(deadlineMs) {
		tell("drain", { deadlineMs, atMs: monotonicMs() });
		slotRow.state = ShardState.draining;
		if (fault.neverDrained) await new Promise(() => {});
		await new Promise((resolve) => setTimeout(resolve, fault.drainMs ?? 0));
		tell("drained", { atMs: monotonicMs() });
		return { cutOff: fault.cutOff ?? 0 };
	},
	async stop() {
		if (fault.neverStopped) await new Promise(() => {});
	},
	reload() {
		if (fault.noReload) throw new Error("no more files");
	},
	useCertificates([{ path }]) {
		if (fault.dieAtCertificate === path) process.kill(process.pid, "SIGKILL");
		if (fault.noCertificate === path) throw new Error("the library does not take it");
		tell("certificates", { path });
	},
	membership() {
		tell("membership");
	},
});
process.on("uncaughtException", (error) => control.fatal(error));
