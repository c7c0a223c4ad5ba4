import { join } from "node:path";
import { cpuMs, freePorts, Haproxy, ManagedProcess } from "@shardcast/testkit";
import { parseTarget, type Target } from "../target.ts";
import { measureSend } from "./support/measured-send.ts";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchClients, benchProgram, connectAll, startBenchCluster, withCleanup } from "./support/subject.ts";

/**
 * What `shardcast edge` costs: its own CPU per connection and per message, against that of HAProxy with one thread in front of the same node. Clients,
 * proxies and node share the machine, so the CPU says more than the rate.
 */
const connections = 1_000;
const inFlight = 64;
const deliveryClients = 500;
/** So slow that each message is one write. */
const load = { rate: 20, durationMs: 5_000, settleMs: 2_000 };
const shardcast = join(import.meta.dirname, "../../../apps/supervisor/dist/main.js");

interface Way {
	readonly target: Target;
	/** Of the proxy alone. */
	readonly cpuMs: () => number;
}

const rounds = roundsFrom(process.argv.slice(2), 3);

await benchProgram(async (ends) => {
	const node = await startBenchCluster("handoff", ["--trusted-proxies", "127.0.0.1"]);
	ends.push(node.stop);
	const [haproxyPort, edgePort] = [await freePorts(), await freePorts()];
	const lines = ["mode http", "option forwardfor"];
	const haproxy = await Haproxy.start([{ port: haproxyPort, to: node.target.port, server: "", lines }]);
	ends.push(() => haproxy.stop());
	const flags = ["--edge-addr", `127.0.0.1:${edgePort}`, "--nodes", `127.0.0.1:${node.target.port}`];
	const edge = await ManagedProcess.start(shardcast, ["edge", ...flags]);
	ends.push(async () => void (await edge.stop()));
	await edge.waitForOutput(/gets clients/, 10_000);

	const ways: Readonly<Record<"haproxy" | "edge", Way>> = {
		haproxy: { target: parseTarget(`ws://127.0.0.1:${haproxyPort}`), cpuMs: () => cpuMs(haproxy.pid) },
		edge: { target: parseTarget(`ws://127.0.0.1:${edgePort}`), cpuMs: () => cpuMs(edge.pid) },
	};
	const open = ({ target, cpuMs }: Way) =>
		withCleanup(async (ends) => {
			const generator = benchClients(target, connections, { inFlight });
			ends.push(() => generator.close("reset"));
			const before = cpuMs();
			const connectsPerSecond = await connectAll(generator, connections);
			return { connectsPerSecond, cpuUsPerConnect: ((cpuMs() - before) * 1000) / connections };
		});
	const deliver = ({ target, cpuMs }: Way) =>
		withCleanup(async (ends) => {
			const generator = benchClients(target, deliveryClients, { inFlight });
			ends.push(() => generator.close("reset"));
			await connectAll(generator, deliveryClients);
			const before = cpuMs();
			const { send } = await measureSend(node, generator, load);
			return { cpuUsPerDelivery: ((cpuMs() - before) * 1000) / send.deliveries };
		});

	await runBench({
		name: "edge-connect",
		rounds,
		warmups: 1,
		figures: {
			connectsPerSecond: { unit: "connections/s", better: "higher" },
			cpuUsPerConnect: { unit: "µs", better: "lower", help: "CPU of the proxy per WebSocket opened" },
		},
		baseline: "haproxy",
		variants: { haproxy: () => open(ways.haproxy), edge: () => open(ways.edge) },
		setup: { connections, inFlight },
	});
	await runBench({
		name: "edge-delivery",
		rounds,
		warmups: 1,
		figures: { cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of the proxy per message and client" } },
		baseline: "haproxy",
		variants: { haproxy: () => deliver(ways.haproxy), edge: () => deliver(ways.edge) },
		setup: { clients: deliveryClients, rate: load.rate },
	});
});
