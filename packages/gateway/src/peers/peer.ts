import type { BusStream, StreamPeer } from "./bus-stream.ts";

/** Another process of the gateway, and its streams. One owner, `BusStreams`. */
export class Peer implements StreamPeer {
	readonly slot: number;
	readonly incarnation: number;
	readonly opened = new Map<number, BusStream>();
	readonly accepted = new Map<number, BusStream>();

	constructor(slot: number, incarnation: number) {
		this.slot = slot;
		this.incarnation = incarnation;
	}
}

export function streamsOf({ opened, accepted }: Peer): BusStream[] {
	return [...opened.values(), ...accepted.values()];
}
