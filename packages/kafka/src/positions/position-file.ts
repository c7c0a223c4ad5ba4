import { join } from "node:path";
import { SharedFile } from "@shardcast/native";
import { PositionTable } from "./position-table.ts";

/** Partitions that one cluster can follow: 2 MB of shared memory. */
export const rowsMax = 2048;

/** Shared memory that it takes. */
export const positionFileBytes: number = PositionTable.bytes(rowsMax);

const pathIn = (clusterPath: string) => join(clusterPath, "kafka-positions");

/** For the supervisor: makes the cluster's position table, before any shard starts. */
export function createPositionFile(clusterPath: string): void {
	const format = (buffer: ArrayBuffer) => PositionTable.format(buffer, rowsMax);
	SharedFile.create(pathIn(clusterPath), positionFileBytes, format).close();
}

/** The cluster's position table, which the supervisor has made. */
export function openPositionFile(clusterPath: string): { readonly table: PositionTable; readonly close: () => void } {
	const file = SharedFile.open(pathIn(clusterPath));
	try {
		return { table: new PositionTable(file.buffer), close: () => file.close() };
	} catch (error) {
		file.close();
		throw error;
	}
}

/** The same for a shard that has no siblings and no cluster directory. */
export function positionsInMemory(): PositionTable {
	const buffer = new ArrayBuffer(positionFileBytes);
	PositionTable.format(buffer, rowsMax);
	return new PositionTable(buffer);
}
