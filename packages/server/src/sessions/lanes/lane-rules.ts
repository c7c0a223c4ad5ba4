import type { Channel } from "@shardcast/channels";
import type { LaneRule } from "./lane-queue.ts";

/** A rule that knows its channel. */
export interface ChannelRule extends LaneRule {
	readonly channel: string;
}

/** By the channel's object, of which there is a new one after a reload, and when it has not been used for long. */
const dropping = new WeakMap<Channel, ChannelRule>();
const recovering = new WeakMap<Channel, ChannelRule>();
const joining = new WeakMap<Channel, ChannelRule>();

/** What happens to a channel's publications for a client that reads too slowly. The same object for the same channel. */
export function channelRule(channel: Channel, recovers: boolean): ChannelRule {
	const rules = recovers ? recovering : dropping;
	let rule = rules.get(channel);
	if (rule === undefined) {
		const { slowClient: policy, slowClientKeyTag: keyTag } = channel.options;
		rule = { of: `${recovers ? "recovers" : "drops"} ${channel.name}`, channel: channel.name, policy, keyTag, recovers };
		rules.set(channel, rule);
	}
	return rule;
}

/** The same for its joins and leaves: none takes the place of another, nor of a publication. Where the newest is kept, the oldest of them are dropped. */
export function joinRule(channel: Channel): ChannelRule {
	let rule = joining.get(channel);
	if (rule === undefined) {
		const { slowClient } = channel.options;
		const policy = slowClient === "keep-latest" ? "drop-oldest" : slowClient;
		rule = { of: `joins ${channel.name}`, channel: channel.name, policy, keyTag: "", recovers: false };
		joining.set(channel, rule);
	}
	return rule;
}
