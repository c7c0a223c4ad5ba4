export type { Channel, ChannelHistory, PublicationRules, SlowClientRule } from "./channel.ts";
export { Namespaces, namespaceKeys } from "./namespaces.ts";
export {
	connectDisconnect,
	grantedPositions,
	historyError,
	type Positions,
	personalChannelOf,
	presenceError,
	publishError,
	receivesJoins,
	subscribeError,
} from "./permissions.ts";
export { type TagFilter, type Tags, tagFilter, tagFilterLimits } from "./tag-filter.ts";
