export { BoardView } from "./board-view.ts";
export { alone } from "./cluster-view.ts";
export { BusDestination, LocalDestination } from "./destination.ts";
export { Ingest } from "./ingest.ts";
