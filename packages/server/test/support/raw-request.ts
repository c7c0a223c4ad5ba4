import type { UpgradeRequest } from "../../src/transports/upgrade-request.ts";

/** An upgrade to the raw endpoint, from this machine. */
export const rawRequest = (query: string, headers: Readonly<Record<string, string>> = {}): UpgradeRequest => ({
	head: {
		query,
		origin: "",
		host: "a.example",
		subprotocols: "",
		header: (name) => headers[name] ?? "",
		joinedHeader: (name) => headers[name] ?? "",
		upgrade: "websocket",
		connection: "upgrade",
		version: "13",
		hasBody: false,
	},
	forwarded: { proxyToken: "", realIp: "", announced: null, forwardedFor: "" },
	remote: () => new Uint8Array([127, 0, 0, 1]),
	remoteText: () => "127.0.0.1",
});
