export { ScoreboardView } from "./assignment/board-view.ts";
export { singleShardView } from "./assignment/cluster-view.ts";
export { BusDestination, LocalDestination } from "./destination.ts";
export { Ingest } from "./ingest.ts";
export { LoggedDestination } from "./logged-destination.ts";
