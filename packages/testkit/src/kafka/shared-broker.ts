import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { KafkaBroker } from "./broker.ts";

/** Where test files ask for the broker that they share. Not SHARDCAST_…, which would be an option of the clusters that they start. */
const variable = "KAFKA_TEST_SHARED";

interface Broker {
	readonly brokers: string;
	remove(): Promise<void>;
}

/**
 * Vitest's global set-up: one broker for all files of a run that do not stop it, started by the first that asks. It belongs to
 * Vitest's main process, which outlives the files' processes; with that it ends, however that ends.
 *
 * @returns what ends it, and waits until it has.
 */
export default async function shareBroker(
	_project?: unknown,
	run: () => Promise<Broker> = () => KafkaBroker.run(),
): Promise<() => Promise<void>> {
	let broker: Promise<Broker> | null = null;
	const server = createServer(async (_, response) => {
		try {
			broker ??= run();
			response.end((await broker).brokers);
		} catch (error) {
			// The next to ask tries again.
			broker = null;
			response.writeHead(503).end((error as Error).message);
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	process.env[variable] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	return async () => {
		delete process.env[variable];
		server.close();
		server.closeAllConnections();
		await broker?.then(
			(running) => running.remove(),
			() => {}, // one that did not start has cleared up after itself
		);
	};
}

/** The brokers of the run's shared Kafka, started if need be; null outside of such a run. @throws when it does not start. */
export async function sharedBrokers(): Promise<string | null> {
	const url = process.env[variable];
	if (url === undefined) return null;
	const response = await fetch(url, { signal: AbortSignal.timeout(90_000) });
	const text = await response.text();
	if (!response.ok) throw new Error(text);
	return text;
}
