import Type from 'typebox';
import {Mode} from './policy.ts';
import {HostName, InstantMs, orNull} from './schema.ts';

/** What an agent says about the kernel values of its host; docs/TUNE.md explains knobs, evidence and ranges. */

/** off: nothing is looked at. advise: says what it would do, and changes what a person approves. on: also what the farm's policy lets it. */
export const TuneMode = Type.Union([Type.Literal('off'), Type.Literal('advise'), Type.Literal('on')]);
export type TuneMode = Type.Static<typeof TuneMode>;

/** Name of a knob: that of sysctl where it has one, `vm.dirty` for a pair, `block.read_ahead_kb/vda` for a disk's. */
export const KnobName = Type.String({minLength: 3, maxLength: 80, pattern: '^[a-z0-9][a-zA-Z0-9._/!-]*$'});
const KnobValue = Type.String({minLength: 1, maxLength: 40});
/** `knob=value`: the same advice has the same id, on every host and after a restart. */
export const AdviceId = Type.String({minLength: 3, maxLength: 130, pattern: '^[a-z0-9][a-zA-Z0-9._/!-]*=[^\\t\\n]*$'});

export const Advice = Type.Object({
  id: AdviceId,
  /** automatic: the agent can change and undo it. person: needs a restart, a remount or a configuration. alarm: is set dangerously. */
  level: Type.Union([Type.Literal('automatic'), Type.Literal('person'), Type.Literal('alarm')]),
  knob: KnobName,
  /** Present value, null when it is not a kernel value. */
  from: orNull(Type.String({maxLength: 120})),
  to: Type.String({maxLength: 120}),
  /** Code of the rule. */
  because: Type.String({maxLength: 60}),
  /** What was measured, with units. */
  evidence: Type.String({maxLength: 300}),
  sinceMs: InstantMs,
});
export type Advice = Type.Static<typeof Advice>;

/** guarded: just made, pressure is watched each second. measured: compared with the time before. kept: worth it, or at least harmless. */
export const ChangeStage = Type.Union([Type.Literal('guarded'), Type.Literal('measured'), Type.Literal('kept')]);
export type ChangeStage = Type.Static<typeof ChangeStage>;

export const Change = Type.Object({
  knob: KnobName,
  old: KnobValue,
  value: KnobValue,
  adviceId: AdviceId,
  by: Type.String({maxLength: 120}),
  reason: Type.String({maxLength: 300}),
  stage: ChangeStage,
  atMs: InstantMs,
  /** What the comparison said; null before it. */
  effect: orNull(Type.String({maxLength: 300})),
});
export type Change = Type.Static<typeof Change>;

/** undone: it harmed or did not help. reverted: a person wanted it back. released: somebody else wrote the value. lost: the writer put it back. */
export const ChangeOutcome = Type.Union([Type.Literal('undone'), Type.Literal('reverted'), Type.Literal('released'), Type.Literal('lost')]);
export type ChangeOutcome = Type.Static<typeof ChangeOutcome>;

export const EndedChange = Type.Object({
  knob: KnobName,
  value: KnobValue,
  adviceId: AdviceId,
  outcome: ChangeOutcome,
  because: Type.String({maxLength: 300}),
  atMs: InstantMs,
});
export type EndedChange = Type.Static<typeof EndedChange>;

export const TuneReport = Type.Object({
  mode: TuneMode,
  /** Why nothing can be written; null when the writer answers, or was not needed yet. */
  writer: orNull(Type.String({maxLength: 200})),
  /** Present value of every knob that this kernel has. Left out of a report while they are as last told, and before the first look. */
  values: Type.Optional(Type.Record(Type.String({maxLength: 80}), Type.String({maxLength: 40}))),
  advice: Type.Array(Advice, {maxItems: 16}),
  /** Knobs that would change nothing here, and why. Told with `values`. */
  inert: Type.Optional(Type.Record(Type.String({maxLength: 80}), Type.String({maxLength: 200}))),
  changes: Type.Array(Change, {maxItems: 16}),
  /** The newest few, oldest first. */
  ended: Type.Array(EndedChange, {maxItems: 8}),
  /** Undone twice: only a person's word tries them again. */
  retired: Type.Array(KnobName, {maxItems: 32}),
});
export type TuneReport = Type.Static<typeof TuneReport>;

export const ApproveAdvice = Type.Object({advice: AdviceId}, {additionalProperties: false});
export type ApproveAdvice = Type.Static<typeof ApproveAdvice>;
export const RevertKnob = Type.Object({knob: KnobName}, {additionalProperties: false});
export type RevertKnob = Type.Static<typeof RevertKnob>;

/** What the API tells of one host. */
export const HostTuning = Type.Object({host: HostName, tune: orNull(TuneReport)});
export type HostTuning = Type.Static<typeof HostTuning>;

/** Tuning of the whole farm. */
export const TuneView = Type.Object({
  mode: Mode,
  hosts: Type.Array(HostTuning),
  /** Why the policy does nothing about a knob on hosts of one role and release; only of interest while the mode is `on`. */
  waiting: Type.Array(Type.Object({knob: Type.String(), kind: Type.String(), code: Type.String(), host: orNull(HostName)})),
});
export type TuneView = Type.Static<typeof TuneView>;
