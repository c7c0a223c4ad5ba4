import type { Framing } from "../framing.ts";
import type { ChannelSubscription } from "./channel-audiences.ts";

/** A client listens to a channel. One object for each: mind its size. */
export class Subscription implements ChannelSubscription {
	readonly channel: string;
	readonly framing: Framing;
	/** Others may see that it is there. */
	readonly isPresent: boolean;

	constructor(channel: string, framing: Framing, isPresent: boolean) {
		this.channel = channel;
		this.framing = framing;
		this.isPresent = isPresent;
	}
}
