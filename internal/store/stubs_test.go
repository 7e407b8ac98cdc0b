package store_test

func crashChild() {}
func holdChild()  {}
func diskChild()  {}
