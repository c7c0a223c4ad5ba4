import type { BusLink } from "@shardcast/bus";
import type { BusStream, StreamEnds } from "./bus-stream.ts";

/** The bus as a gateway process uses it. */
export interface GatewayBus {
	readonly link: BusLink;
	/** A number that differs between the processes that a slot has had, never 0; 0 = no process runs there. */
	readonly incarnationOf: (slot: number) => number;
	/** Called at the start of each turn of the loop that reads the bus. */
	readonly beforeTurn: () => void;
}

/** The two ends of a channel: what must not wait for the rest goes through the first. */
export interface ChannelEnds {
	readonly control: StreamEnds;
	readonly data: StreamEnds;
}

export interface ChannelStreams {
	readonly control: BusStream;
	readonly data: BusStream;
}

export interface StreamsListener {
	/** A process opens a channel about a backend. @returns null to refuse it. `accepted` follows. */
	readonly onOpen: (slot: number, backendId: number) => ChannelEnds | null;
	readonly accepted: (slot: number, backendId: number, streams: ChannelStreams) => void;
	/** A process has come; it may be opened to. Also when another one has taken its place. */
	readonly onFound: (slot: number) => void;
}
