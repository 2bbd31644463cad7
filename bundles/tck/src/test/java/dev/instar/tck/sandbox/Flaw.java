package dev.instar.tck.sandbox;

/** What can be wrong with a backend, each with the test of the suite that finds it. */
enum Flaw {
  NONE(""),
  DESCRIBES_ITSELF_ANEW("describesItselfAndAlwaysTheSame"),
  SAYS_NOTHING_OF_ITS_ENTRY("preparedFunctionTellsItsEntryAndItsReset"),
  SAYS_IT_DOES_NOT_RESET("sandboxesResetWhenTheDescriptionSaysSo"),
  DROPS_THE_LAST_BYTE("echoesEverySize(int)"),
  MIXES_ANSWERS("concurrentSandboxesDoNotMixTheirAnswers"),
  BUFFERS_THE_INPUT("answerStreamsWhileInputStillComes"),
  WAITS_FOR_THE_INPUT("aFunctionNeedNotWaitForItsInput"),
  DROPS_THE_LOG("whatTheFunctionLogsArrivesBeforeTheCallEnds"),
  FORGETS_THE_ENVIRONMENT("theFunctionSeesItsEnvironment"),
  PASSES_THE_NODES_ENVIRONMENT("theFunctionDoesNotSeeTheEnvironmentOfTheNode"),
  DOES_NOT_RESET("stateIsUndoneByAResetAndKeptWithoutOne"),
  SHARES_STATE("sandboxesOfOneFunctionShareNoState"),
  REPEATS_WHAT_WAS_DRAWN("whatWasDrawnAtFirstDoesNotRepeat"),
  REPEATS_WHAT_WAS_DRAWN_AFTER_A_RESET("whatWasDrawnAtFirstDoesNotRepeat"),
  STORES_WHAT_WAS_DRAWN("whatWasDrawnAtFirstDoesNotRepeatFromWhatIsStored"),
  FAILS_A_SECOND_RESET("resetCanComeTwiceAndBeforeTheFirstCall"),
  HIDES_THE_EXIT_CODE("anExitCodeIsReported"),
  LETS_A_TRAP_THROUGH("aTrapHurtsOnlyItsOwnCall"),
  BOUNDS_NO_MEMORY("memoryIsBounded"),
  NAMES_A_LIMIT_THAT_IS_NONE("whatItSaysOfItsLimitsAreLimits"),
  BOUNDS_NO_TABLES("aLimitThatItNamesBounds(java.lang.String,dev.instar.tck.sandbox.Fixture,long)"),
  BOUNDS_NO_OPEN_FILES("aLimitThatItNamesBounds(java.lang.String,dev.instar.tck.sandbox.Fixture,long)"),
  BOUNDS_NO_FILE_BYTES("aLimitThatItNamesBounds(java.lang.String,dev.instar.tck.sandbox.Fixture,long)"),
  BOUNDS_NO_MADE_FILES("aLimitThatItNamesBounds(java.lang.String,dev.instar.tck.sandbox.Fixture,long)"),
  COUNTS_WHAT_A_CALL_HAS_MADE_IN_THE_NEXT("aLimitThatItNamesBounds(java.lang.String,dev.instar.tck.sandbox.Fixture,long)"),
  HIDES_THE_OUTPUT_LIMIT("aFloodEndsAtTheLimitOfTheOutput"),
  HIDES_THE_INPUT_LIMIT("inputOverItsLimitEndsTheCall"),
  TAKES_A_GONE_CALLER_FOR_A_TRAP("aCallerThatGoesWhileItReadsEndsTheCall"),
  TAKES_A_CUT_INPUT_FOR_ITS_END("aCallerThatGoesWhileItSendsEndsTheCall"),
  TAKES_BAD_ARTIFACTS("aBadArtifactIsRefused"),
  IGNORES_KILL("killEndsARunningCall(dev.instar.tck.sandbox.Fixture)"),
  TAKES_A_KILL_FOR_SUCCESS("killEndsARunningCall(dev.instar.tck.sandbox.Fixture)"),
  LEAVES_THE_INTERRUPT_FLAG("killEndsARunningCall(dev.instar.tck.sandbox.Fixture)"),
  DOES_NOT_REACH_A_STUCK_CALLER("killEndsACallWhoseCallerDoesNotRead"),
  FORGETS_AN_EARLY_KILL("killBeforeACallEndsTheCall"),
  IS_REUSABLE_AFTER_A_KILL("killCanComeTwiceAndAfterTheCall"),
  THROWS_ON_A_LATE_KILL("killAfterCloseDoesNothing"),
  KILLS_ITS_NEIGHBOURS("killHitsOnlyItsOwnSandbox"),
  SWALLOWS_INTERRUPTS("anInterruptEndsTheCall(dev.instar.tck.sandbox.Fixture)"),
  IS_REUSABLE_AFTER_AN_INTERRUPT("anInterruptEndsTheCall(dev.instar.tck.sandbox.Fixture)"),
  LEAVES_A_CALL_RUNNING("closeEndsARunningCall"),
  STORES_WHAT_A_CALL_LEFT("whatIsStoredIsTheInitialisedStateAndNothingThatACallHasLeft"),
  TAKES_THE_STATE_OF_ANOTHER_ENVIRONMENT("aStoredStateIsOfItsEnvironmentOnly"),
  ENDS_CALLS_WHILE_IT_STORES("aCheckpointHurtsNoCallThatRuns"),
  STORES_ON_WHEN_INTERRUPTED("anInterruptEndsACheckpoint"),
  STORES_A_STATE_AGAIN("aStateIsStoredOnce"),
  STORES_NOTHING_AND_DOES_NOT_SAY_SO("aStateIsStoredOnce"),
  THROWS_ON_A_SECOND_CLOSE("closeIsIdempotentAndEndsTheSandbox"),
  CALLS_WHEN_CLOSED("closeIsIdempotentAndEndsTheSandbox"),
  STARTS_WHEN_CLOSED("aClosedPreparedFunctionStartsNothing"),
  LEAKS_A_THREAD("cyclesLeaveNothing"),
  LEAKS_A_PROCESS("echoesEveryByteValue");

  final String test;

  Flaw(String test) {
    this.test = test;
  }
}
