export { BoardView } from "./board-view.ts";
export { alone } from "./cluster-view.ts";
export { Ingest } from "./ingest.ts";
export { BusOutlet, LocalOutlet } from "./outlet.ts";
