/** Counters of the commands of the Centrifuge protocol. */
export const commandCounters = {
	connect: "commandsConnect",
	refresh: "commandsRefresh",
	subscribe: "commandsSubscribe",
	subRefresh: "commandsSubRefresh",
	unsubscribe: "commandsUnsubscribe",
	publish: "commandsPublish",
	history: "commandsHistory",
	presence: "commandsPresence",
	presenceStats: "commandsPresenceStats",
	rpc: "commandsRpc",
	send: "commandsSend",
} as const;

/** Codes of error replies. */
const errorCodes = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113] as const;
type ErrorCode = (typeof errorCodes)[number];

/** Counters of error replies by code, to subscribe commands and to other commands. */
export const errorCounters = {
	subscribe: byCode("subscribeErrors"),
	other: byCode("commandErrors"),
};

function byCode<Name extends string>(name: Name): Readonly<Record<ErrorCode, `${Name}${ErrorCode}`>> {
	return Object.fromEntries(errorCodes.map((code) => [code, `${name}${code}`])) as Record<ErrorCode, `${Name}${ErrorCode}`>;
}

type Counter<Name extends string> = readonly [name: Name, sentence: string];

export const commandCounterWords = Object.entries(commandCounters).map(([method, name]) => [
	name,
	`${method} commands of clients`,
]) as Counter<(typeof commandCounters)[keyof typeof commandCounters]>[];
export const errorCounterWords = [
	...Object.entries(errorCounters.subscribe).map(([code, name]) => [name, `subscribe commands answered with error ${code}`] as const),
	...Object.entries(errorCounters.other).map(([code, name]) => [name, `other commands answered with error ${code}`] as const),
] satisfies Counter<string>[];
