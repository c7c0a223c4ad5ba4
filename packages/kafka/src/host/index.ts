export { BoardView } from "./assignment/board-view.ts";
export { alone } from "./assignment/cluster-view.ts";
export { BusDestination, LocalDestination } from "./destination.ts";
export { Ingest } from "./ingest.ts";
export { LoggedDestination } from "./logged-destination.ts";
