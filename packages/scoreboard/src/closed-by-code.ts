import type { ShardCounter } from "./scoreboard-descriptor.ts";

/** The counter for a close code. */
export const closedByCode: Readonly<Record<number, ShardCounter>> = {
	1000: "closedNormal",
	1001: "closedGoingAway",
	1005: "closedNoCode",
	1006: "closedAbnormal",
	1007: "closedInvalidMessage",
	1008: "closedRateLimited",
	1009: "closedTooBig",
	1011: "closedInternal",
	1012: "closedConnectAgain",
	1013: "closedBusFull",
	3000: "closed3000",
	3001: "closed3001",
	3004: "closed3004",
	3005: "closed3005",
	3006: "closed3006",
	3008: "closedSlow",
	3009: "closed3009",
	3010: "closed3010",
	3011: "closed3011",
	3012: "closed3012",
	3013: "closed3013",
	3014: "closed3014",
	3500: "closed3500",
	3501: "closed3501",
	3502: "closed3502",
	3503: "closed3503",
	3504: "closed3504",
	3505: "closed3505",
	3506: "closed3506",
	3507: "closedReceiveOnly",
	3508: "closed3508",

	3509: "closed3509",
};

export function closedCounter(code: number): ShardCounter {
	return closedByCode[code] ?? "closedOther";
}
