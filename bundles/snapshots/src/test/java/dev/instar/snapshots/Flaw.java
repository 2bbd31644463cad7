package dev.instar.snapshots;

/** What a store can do wrong, with the test of the suite that finds it. */
enum Flaw {
  NONE(""),
  OPENS_FOR_ANY_KEY("aLayerOfAnotherKeyIsNotOpened"),
  FINDS_THE_OLDEST("theNewestOfAKeyIsFound"),
  PUBLISHES_UNASKED("whatIsNotPublishedLeavesNothing"),
  TAKES_UNALIGNED_MEMORY("memoryHasToBeAlignedAndGivenOnce"),
  READS_NOTHING_OF_A_DIFF("aDiffLiesOnItsParents"),
  LEAVES_THE_FILE_OUT("memoryComesOutOfAFile"),
  FORGETS_AT_RESTART("whatWasPublishedIsThereAfterARestart"),
  LEASES_NOTHING("whatIsOpenIsNeitherCollectedNorRemoved"),
  HOLDS_NOTHING("whatNobodyHoldsGoesWithAge"),
  KEEPS_EVERYTHING("whatNobodyHoldsGoesWithAge"),
  HAS_NO_BUDGET("pastTheBudgetGoWhatNobodyHoldsFirst"),
  EXPORTS_HALF("anArchiveBringsAChainToAnotherStore"),
  TAKES_CUT_ARCHIVES("anArchiveThatIsCutOffIsRefusedAndLeavesNothing"),
  TAKES_WRONG_ARCHIVES("anArchiveWithAWrongBitIsRefusedAndLeavesNothing"),
  VERIFIES_NOTHING("aWrongBitInAnyFileIsNoticed"),
  SEES_NO_MISSING_FILE("aFileThatIsGoneIsNoticed"),
  READS_UNVERIFIED("damageIsNoticedWhereItIsRead"),
  GIVES_DAMAGED_BLOBS("damageToABlobIsNoticedBeforeItIsGiven"),
  BREAKS_WHEN_INTERRUPTED("anInterruptStopsNothing"),
  TAKES_ANY_PARENT("aDiffOfAnotherMachineIsRefused"),
  REMOVES_BELOW_OTHERS("aLayerIsNotRemovedBelowAnother");

  final String test;

  Flaw(String test) {
    this.test = test;
  }
}
