import type { BusLink } from "@shardcast/bus";
import type { Ask, BackendPlace, PartAnswers } from "@shardcast/control";
import type { AdminAnswer, AdminCall } from "@shardcast/http";
import type { AddressTable, RateTable } from "@shardcast/limits";
import type { DescriptorChannel } from "@shardcast/native";
import type { ProcessSample } from "@shardcast/process";
import type { Scoreboard } from "@shardcast/scoreboard";
import type { ProcessMetrics } from "@shardcast/telemetry";
import type { GatewayReport } from "../monitor/gateway-report.ts";

/** What a process of a gateway has as one of several, behind a balancer. */
export interface GatewayMember {
	readonly board: Scoreboard;
	readonly slot: number;
	readonly bus: BusLink;
	/** Clients come only this way. */
	readonly handoff: DescriptorChannel;
	/** Shared by all processes. */
	readonly rates: RateTable;
	/** Likewise. Called when the limit per address is first enabled. */
	readonly openAddresses: () => AddressTable;
	/** At the start. */
	readonly backends: readonly BackendPlace[];
	readonly metrics: ProcessMetrics;
	/** Measures the process. Gets the largest delay of a heartbeat since the last call. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** The report of all processes. */
	readonly report: () => Promise<GatewayReport>;
	/** The text of `GET /metrics` of all processes. */
	readonly collectMetrics: () => Promise<string>;
	/** Puts a question to all processes, or to the supervisor. */
	readonly ask: Ask;
	/** Its own answers. */
	readonly parts: PartAnswers;
	/** Puts a call of the admin interface to the supervisor. */
	readonly admin: (call: AdminCall) => Promise<AdminAnswer>;
}
