import { gatewayBackendsMax } from "@shardcast/config";

/** Why datagrams are refused: a line each, for the log and the metrics. */
export const announcementRefusals = {
	oversized: "it is larger than 1,024 bytes",
	untrusted: "its sender is in none of the networks of --discovery-networks, and there is no --discovery-secret",
	rate: "too many datagrams come",
	malformed: "it is not an announcement: it is not a JSON object, or a field is missing, unknown, given twice or wrong",
	other_version: "it is of another version",
	foreign_host: "it names another host than its sender, which only signed announcements may",
	unsigned: "it has no signature, time or nonce, and --discovery-secret is set",
	signature: "it was signed with another secret",
	stale: "its time is too far from this machine's, or before the gateway started or the backend left: compare the clocks",
	replayed: "its nonce was used before",
	nonces_full: "more nonces than are remembered were used within a minute",
	full: `the limit of ${gatewayBackendsMax} backends is reached`,
} as const;
export type AnnouncementRefusal = keyof typeof announcementRefusals;
export type RefusalCounts = Record<AnnouncementRefusal, number>;

export function noRefusals(): RefusalCounts {
	return Object.fromEntries(Object.keys(announcementRefusals).map((each) => [each, 0])) as RefusalCounts;
}
