import { execFileSync } from "node:child_process";
import { sendProblems } from "../../result.ts";
import { benchClients, connectAll, withEnds } from "../subject.ts";
import { startFlagged } from "./flagged-cluster.ts";
import { isInOwnNamespace } from "./namespace.ts";

/** A firewall that remembers connections: what it costs to open them and to deliver. */
export const trackedConnections = 5_000;
export const trackedRate = 50;

export const conntrackFigures = {
	connectsPerSecond: { unit: "1/s", better: "higher" },
	cpuUsPerConnect: { unit: "µs", better: "lower", help: "CPU of all server processes per connection" },
	cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of all server processes per message received by a client" },
} as const;
type Figure = keyof typeof conntrackFigures;

/** A rule that asks for a packet's connection and lets all pass: with it the kernel tracks, without any it does not. */
const rule = ["INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"];

export function measureConntrack(tracked: boolean): Promise<Record<Figure, number>> {
	if (!isInOwnNamespace()) throw new Error("firewall rules are made in a network namespace of one's own only");
	return withEnds(async (ends) => {
		if (tracked) {
			execFileSync("iptables", ["-A", ...rule]);
			ends.push(async () => void execFileSync("iptables", ["-D", ...rule]));
		}
		const subject = await startFlagged({});
		ends.push(subject.stop);
		const generator = benchClients(subject.target, trackedConnections);
		ends.push(() => generator.close("reset"));
		const { servers } = subject;
		// Once to warm both sides up.
		await connectAll(generator, trackedConnections);
		await generator.disconnect("reset");
		let before = servers.cpuMs();
		const connectsPerSecond = await connectAll(generator, trackedConnections);
		const cpuUsPerConnect = ((servers.cpuMs() - before) * 1000) / trackedConnections;
		await generator.send({ rate: trackedRate, bytes: 128, durationMs: 1_000, settleMs: 5_000 });
		before = servers.cpuMs();
		let cpuMs = 0;
		const onArrived = (): void => {
			cpuMs = servers.cpuMs() - before;
		};
		const send = await generator.send({ rate: trackedRate, bytes: 128, durationMs: 3_000, settleMs: 5_000, onArrived });
		const problems = sendProblems(send);
		if (problems.length > 0) throw new Error(problems.join("; "));
		return { connectsPerSecond, cpuUsPerConnect, cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries };
	});
}
