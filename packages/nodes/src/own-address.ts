import { networkInterfaces } from "node:os";
import { type Address, urlHost } from "@shardcast/config";

/** The address at which other nodes reach this one: the listening host, or the first network address if it listens on all interfaces. */
export function ownAddress(listens: Address, interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): string {
	const { host, port } = listens;
	if (host !== undefined && host !== "0.0.0.0" && host !== "::") return urlHost(listens);
	const found = Object.values(interfaces)
		.flatMap((each) => each ?? [])
		.filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0);
	const first = found.find(({ family }) => family === "IPv4") ?? found[0];
	return urlHost({ host: first?.address ?? "127.0.0.1", port });
}
