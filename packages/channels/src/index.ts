export type { Channel, ChannelHistory, PublicationRules } from "./channel.ts";
export { Namespaces, type NamespacesConfig, namespaceKeys } from "./namespaces.ts";
export {
	type Asker,
	type ConnectConfig,
	connectDisconnect,
	grantedPositions,
	hearsJoins,
	historyError,
	type PersonalChannelConfig,
	type Positions,
	personalChannelOf,
	presenceError,
	publishError,
	type SubscribedAsker,
	subscribeError,
} from "./permissions.ts";
export { type TagFilter, type Tags, tagFilter, tagFilterLimits } from "./tag-filter.ts";
