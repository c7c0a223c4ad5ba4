import type { Channel } from "@shardcast/channels";
import type { LaneRule } from "./lane-queue.ts";

/** A rule that knows its channel. */
export interface ChannelRule extends LaneRule {
	readonly channel: string;
}

/** A rule for each channel's object, of which there is a new one after a reload, and when it has not been used for long. */
function rulePerChannel(rule: (channel: Channel) => ChannelRule): (channel: Channel) => ChannelRule {
	const rules = new WeakMap<Channel, ChannelRule>();
	return (channel) => {
		let found = rules.get(channel);
		if (found === undefined) {
			found = rule(channel);
			rules.set(channel, found);
		}
		return found;
	};
}

const publicationRule = (of: "drops" | "recovers") =>
	rulePerChannel(({ name, options: { slowClient: policy, slowClientKeyTag: keyTag } }) => {
		return { of: `${of} ${name}`, channel: name, policy, keyTag, recovers: of === "recovers" };
	});

/** What happens to a channel's publications for a client that reads too slowly and recovers nothing. The same object for the same channel. */
export const droppingRule = publicationRule("drops");

/** The same for one that recovers. */
export const recoveringRule = publicationRule("recovers");

/** The same for joins and leaves: none takes the place of another, nor of a publication. Where the newest is kept, the oldest of them are dropped. */
export const joinRule = rulePerChannel(({ name, options: { slowClient } }) => {
	const policy = slowClient === "keep-latest" ? "drop-oldest" : slowClient;
	return { of: `joins ${name}`, channel: name, policy, keyTag: "", recovers: false };
});
