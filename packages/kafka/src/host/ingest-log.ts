/** The log of the ingest. */
export interface IngestLog {
	info(fields: object, message: string): void;
	warn(fields: object, message: string): void;
}
