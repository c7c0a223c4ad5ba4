import type { Channel } from "@shardcast/channels";
import type { LaneRule } from "./lane-queue.ts";

/** A rule with the name of its channel. */
export interface ChannelRule extends LaneRule {
	readonly channel: string;
}

/** Caches a rule for each `Channel` object. There is a new object after a reload, and when the channel was not used for long. */
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
	rulePerChannel(({ name, slowClient: { policy, keyTag } }) => {
		return { of: `${of} ${name}`, channel: name, policy, keyTag, recovers: of === "recovers" };
	});

/** What happens to a channel's publications when a client without recovery reads too slowly. The same object for the same channel. */
export const droppingRule = publicationRule("drops");

/** The same for a subscription with recovery. */
export const recoveringRule = publicationRule("recovers");

/** The same for joins and leaves. They never replace each other or a publication: under keep-latest, the oldest of them are dropped. */
export const joinRule = rulePerChannel(({ name, slowClient }) => {
	const policy = slowClient.policy === "keep-latest" ? "drop-oldest" : slowClient.policy;
	return { of: `joins ${name}`, channel: name, policy, keyTag: "", recovers: false };
});
