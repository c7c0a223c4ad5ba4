import type { Audience } from "../../../hub/audience.ts";

/** A client listens to a channel. One object for each: mind its size. */
export class Subscription {
	readonly channel: string;
	/** Of the channel, in the client's encoding. */
	readonly audience: Audience;
	/** Others may see that it is there. */
	readonly isPresent: boolean;

	constructor(channel: string, audience: Audience, isPresent: boolean) {
		this.channel = channel;
		this.audience = audience;
		this.isPresent = isPresent;
	}
}
