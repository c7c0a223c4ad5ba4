import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { accepts, cpuMs, descendantsOf, freePorts, Haproxy, isAlive, startGuard, waitFor } from "@shardcast/testkit";
import { watchOtherCpu } from "../support/other-cpu.ts";
import { otherCpuPercent, runBench } from "../support/report.ts";
import { GatewaySubject } from "./gateway-subject.ts";
import { backendCount, boundedPart, latencyOf, measureMs, type Part, type PartOptions, settleMs } from "./part.ts";
import { videoBytes } from "./peers/messages.ts";
import { type PeerProcess, startPeers } from "./peers/peer-process.ts";

type Ends = (() => Promise<void>)[];

/** A program between clients and backends. */
interface Way {
	readonly peers: PeerProcess;
	/** Of the program alone, with its children. */
	readonly cpuMs: () => number;
}

/** V8 compiles meanwhile, and buffers grow. */
const warmupMs = 5_000;
/** Each VIDEO frame has its ACK. Websockify takes almost a core for that. */
const messagesMost = 5_000;
/** Websockify fails at about 500: it waits with select(2), which knows 1,024 descriptors. */
const clientsMost = 400;

async function run({ rounds, clients: most, rate }: PartOptions): Promise<void> {
	const clients = Math.min(clientsMost, most);
	await boundedPart(rounds, async (ends) => {
		const messages = Math.min(messagesMost, rate);
		const haproxy = isInstalled("haproxy", "-v") ? await throughHaproxy(clients, ends) : null;
		const gateway = await throughGateway(clients, ends);
		const websockify = isInstalled("websockify", "--help") ? await throughWebsockify(clients, ends) : null;
		const measure = async ({ peers, cpuMs }: Way, measuredMs: number) => {
			await peers.call("pace", { video: messages / 2, control: 0 });
			await pause(settleMs);
			await peers.call("begin");
			const used = () => [cpuMs(), cpuMsOf([peers.pid])];
			const [before, otherCpu, startedMs] = [used(), watchOtherCpu(), performance.now()];
			await pause(measuredMs);
			const [after, seconds] = [used(), (performance.now() - startedMs) / 1000];
			const [programMs, peersMs] = after.map((ms, index) => ms - before[index]!);
			const other = otherCpu(programMs! + peersMs!);
			const { videoReceived, latencies } = await peers.call("end");
			await peers.call("pace", { video: 0, control: 0 });
			return {
				messagesPerSecond: (2 * videoReceived) / seconds,
				cpuUsPerMessage: (programMs! * 1000) / (2 * videoReceived),
				videoP99Ms: latencyOf("VIDEO", [latencies.video]).p99Ms,
				otherCpuPercent: other,
			};
		};
		const ways = { ...(haproxy && { haproxy }), gateway, ...(websockify && { websockify }) };
		for (const way of Object.values(ways)) await measure(way, warmupMs - settleMs);
		await runBench({
			name: "gateway-compare",
			rounds,
			figures: {
				messagesPerSecond: { unit: "messages/s", better: "higher", help: "VIDEO that clients received, and their ACKs" },
				cpuUsPerMessage: { unit: "µs", better: "lower", help: "CPU of the program between clients and backends" },
				videoP99Ms: { unit: "ms", better: "lower", help: "from the backend's write to the client's read" },
				otherCpuPercent,
			},
			baseline: haproxy === null ? "gateway" : "haproxy",
			variants: Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, () => measure(way, measureMs)])),
			setup: { clients, videoBytes, messagesPerSecond: messages },
		});
	});
}

async function open(peers: PeerProcess, port: number, clients: number, ends: Ends): Promise<void> {
	ends.push(() => peers.call("close"));
	await peers.call("open", { port, clients });
	await peers.call("know", { clients });
}

async function throughGateway(clients: number, ends: Ends): Promise<Way> {
	const { peers, ports } = await startPeers("frames", backendCount, ends);
	const gateway = await GatewaySubject.start(ports);
	ends.push(() => gateway.stop());
	await open(peers, gateway.port, clients, ends);
	return { peers, cpuMs: () => gateway.cpuMs() };
}

/** One thread, as the gateway has one. */
async function throughHaproxy(clients: number, ends: Ends): Promise<Way> {
	const { peers, ports } = await startPeers("websocket", backendCount, ends);
	const port = await freePorts();
	const servers = ports.map((to, index) => `\tserver backend${index} 127.0.0.1:${to}`);
	const times = ["connect", "client", "server", "tunnel"].map((name) => `\ttimeout ${name} 60s`);
	const sections = [
		"global",
		"\tnbthread 1",
		`\tmaxconn ${clients + 100}`,
		"listen splice",
		`\tbind 127.0.0.1:${port}`,
		"\tmode tcp",
		...times,
		...servers,
	];
	const haproxy = await Haproxy.run(`${sections.join("\n")}\n`, [port]);
	ends.push(() => haproxy.stop());
	await open(peers, port, clients, ends);
	return { peers, cpuMs: () => cpuMsOf([haproxy.pid]) };
}

/** It starts a process for each client. */
async function throughWebsockify(clients: number, ends: Ends): Promise<Way> {
	const { peers, ports } = await startPeers("bytes", 1, ends);
	const port = await freePorts();
	const child = spawn("websockify", [`127.0.0.1:${port}`, `127.0.0.1:${ports[0]}`], { stdio: "ignore" });
	const guard = startGuard(child.pid!);
	ends.push(async () => {
		await end(child);
		guard.kill("SIGKILL");
	});
	await waitFor(() => accepts(port), { deadlineMs: 20_000, what: `websockify on port ${port}` });
	await open(peers, port, clients, ends);
	const all = [child.pid!, ...descendantsOf(child.pid!).map(({ pid }) => pid)];
	return { peers, cpuMs: () => cpuMsOf(all) };
}

async function end(child: ChildProcess): Promise<void> {
	const family = descendantsOf(child.pid!);
	child.kill("SIGKILL");
	for (const member of family) if (isAlive(member)) process.kill(member.pid, "SIGKILL");
	await waitFor(() => child.signalCode !== null && !family.some(isAlive), { deadlineMs: 10_000, what: "the end of websockify" });
}

function cpuMsOf(pids: readonly number[]): number {
	return pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
}

function isInstalled(program: string, ask: string): boolean {
	if (spawnSync(program, [ask], { stdio: "ignore" }).status === 0) return true;
	console.error(`bench: ${program.toUpperCase()} IS LEFT OUT: it is not installed; install Debian's package ${program}`);
	return false;
}

export const compare: Part = { help: "CPU per message against HAProxy in TCP mode and websockify", rounds: 2, run };
