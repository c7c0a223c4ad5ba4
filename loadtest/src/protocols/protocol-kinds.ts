import { CentrifugeJson } from "./centrifuge-json.ts";
import { CentrifugeProtobuf } from "./centrifuge-protobuf.ts";
import type { ClientProtocol } from "./client-protocol.ts";
import { rawProtocol } from "./raw-protocol.ts";

interface ProtocolKindMeaning {
	/** Clients listen to channels only, so that a broadcast is a message to the one channel of all. */
	readonly needsChannel: boolean;
	/** Clients get their own messages back. */
	readonly echoes: boolean;
	/** Flags of `shardcast multi` without which its clients may not do what the load test does. */
	readonly clusterFlags: readonly string[];
	/** For --help. */
	readonly help: string;
	create(): ClientProtocol;
}

const centrifuge = { needsChannel: true, echoes: true, clusterFlags: ["--client-insecure"] } as const;

/** What the clients speak, as `--protocol` spells it. */
export const protocolKinds = {
	raw: { needsChannel: false, echoes: false, clusterFlags: [], help: "plain frames, ?channels=", create: () => rawProtocol },
	centrifuge: { ...centrifuge, help: "the Centrifuge protocol, JSON", create: () => new CentrifugeJson() },
	"centrifuge-protobuf": { ...centrifuge, help: "the same, Protobuf", create: () => new CentrifugeProtobuf() },
} as const satisfies Readonly<Record<string, ProtocolKindMeaning>>;
export type ProtocolKind = keyof typeof protocolKinds;

/** Flags for a cluster of one's own, with those that its clients need. */
export function withClusterFlags(flags: readonly string[], protocol: ProtocolKind): string[] {
	return [...flags, ...protocolKinds[protocol].clusterFlags.filter((flag) => !flags.includes(flag))];
}
