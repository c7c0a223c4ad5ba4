import { benchClients, connectAll, withEnds } from "../subject.ts";
import { startFlagged } from "./flagged-cluster.ts";
import { withSettings } from "./kernel-settings.ts";

/** Many connections to one port: what it costs the connecting side to find a free local port for each. */
export const portConnections = 12_000;

export const portFigures = {
	connectsPerSecond: { unit: "1/s", better: "higher" },
	clientCpuUs: { unit: "µs", better: "lower", help: "CPU of the load generator per connection" },
} as const;
type Figure = keyof typeof portFigures;

/** @param range first and last local port. */
export function measurePorts(addresses: number, range: string): Promise<Record<Figure, number>> {
	return withSettings({ "net.ipv4.ip_local_port_range": range }, () =>
		withEnds(async (ends) => {
			const subject = await startFlagged({ flags: ["--max-connections", String(portConnections + 100)] });
			ends.push(subject.stop);
			const names = Array.from({ length: addresses }, (_, index) => `127.0.0.${index + 2}`);
			const generator = benchClients(subject.target, portConnections, { addresses: names });
			ends.push(() => generator.close("reset"));
			const before = process.cpuUsage();
			const connectsPerSecond = await connectAll(generator, portConnections);
			const { user, system } = process.cpuUsage(before);
			return { connectsPerSecond, clientCpuUs: (user + system) / portConnections };
		}),
	);
}
