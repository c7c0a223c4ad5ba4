import { networkInterfaces } from "node:os";
import { type Address, type Config, parseNodeUrl, urlHost, usesTls } from "@shardcast/config";

const everywhere: ReadonlySet<string | undefined> = new Set([undefined, "0.0.0.0", "::"]);

/** The address at which other nodes reach this one: the listening host, or the first network address if it listens on all interfaces. */
export function ownAddress(listens: Address, interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): string {
	const { host, port } = listens;
	if (!everywhere.has(host)) return urlHost(listens);
	const found = Object.values(interfaces)
		.flatMap((each) => each ?? [])
		.filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0);
	const first = found.find(({ family }) => family === "IPv4") ?? found[0];
	return urlHost({ host: first?.address ?? "127.0.0.1", port });
}

/**
 * The URL for clients; "" where nobody has said how they reach this machine. An address that was only found is not told to clients: it is often one of an
 * internal network.
 */
export function clientUrl(config: Pick<Config, "nodeUrl" | "nodeAddress" | "tlsEnabled" | "tlsCert">, listens: Address): string {
	const { nodeUrl, nodeAddress } = config;
	if (nodeUrl !== "") return parseNodeUrl(nodeUrl);
	const address = nodeAddress || (everywhere.has(listens.host) ? "" : urlHost(listens));
	return address === "" ? "" : `${usesTls(config) ? "wss" : "ws"}://${address}`;
}
